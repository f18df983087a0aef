"""How it is trained: the loop, its state, schedules, devices. The only room that imports Fabric."""
