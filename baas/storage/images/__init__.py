"""Variants of pictures: smaller, cut, in another format; made once and kept in a bounded cache."""
