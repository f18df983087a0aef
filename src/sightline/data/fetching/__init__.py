"""Addresses as data: files of the web and of clouds, fetched into the cache where that is allowed."""
