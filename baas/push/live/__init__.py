"""Live queries: a result, and then what becomes of it.

`service` opens watches; a `watch` is one client's; a `query` is one distinct query, evaluated once
for all who watch it; its `view` is the result in order; `terms` finds the queries that a change can
touch; `cursors` say where a client may go on.
"""
