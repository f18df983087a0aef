"""Where objects may be: boxes from the pixels alone, before any network has looked at them. numpy only."""
