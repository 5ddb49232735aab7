"""Load generators, the floor that the gateway is measured against, and the numbers they gave."""
