"""Why does a network answer as it does? Works on functions from pixels to scores and on hooks into their network."""
