"""The checker of push: writers and subscribers at random while connections are cut, gateways die,
tokens expire and rules change; afterwards every view is what a fresh query gives, and every log
shows no loss, repeat or disorder.

`views` is what a client may believe by the protocol's page; `links` are its connections;
`subscribers` and `writers` the actors; `targets` the gateways; `run` the whole.
"""
