"""The realtime protocol over WebSockets and by long-poll."""
