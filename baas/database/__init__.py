"""The database service: documents by verbs and transactions, under rules. Knows no framework."""
