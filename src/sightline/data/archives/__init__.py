"""Archives as data: zip and tar files, unpacked safely into the cache."""
