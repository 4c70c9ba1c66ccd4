"""MySQL from Debian's archive: package sources, download, unpacking."""
