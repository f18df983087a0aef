"""Where images and labels come from: readers, audit, splits, the endless stream."""
