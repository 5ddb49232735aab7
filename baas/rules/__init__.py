"""Rule files: from text to checked expressions, and from those to filters."""
