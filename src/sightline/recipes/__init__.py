"""Assembly: typed recipe → data, network, task; the run folder."""
