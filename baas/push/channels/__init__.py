"""Channels: messages under rules, with a history; presence; and each user's inbox.

Messages and presence are documents of reserved collections (`rows`), so the change feed carries
them to every process. `publisher` writes them, one order per channel; `hub` hands them to whoever
has joined (`member`); `presence` keeps who is there, and heals; `service` is what sessions call.
"""
