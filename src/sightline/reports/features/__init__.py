"""The page of what a network's units respond to: a topic a method, each with pictures, sentences and a contact sheet."""
