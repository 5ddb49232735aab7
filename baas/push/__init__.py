"""Push: live queries, channels and presence, by the frames of docs/realtime.md."""
