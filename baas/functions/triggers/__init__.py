"""What starts functions beside their callers: the change feed, events, webhooks, timers."""
