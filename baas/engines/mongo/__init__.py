"""The scale-out engine: documents, change feed and jobs on a MongoDB replica set."""
