"""Where functions run: on the gateway's loop, in its threads, in processes of their own."""
