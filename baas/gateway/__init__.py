"""HTTP: routes, who calls, and how answers and problems look on the wire."""
