"""Tasks over networks that predict boxes on grids, by anchors, or as a set."""
