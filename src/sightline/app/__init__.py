"""A page for a folder of runs: results, data, reports and predictions in a browser, over the API of `serving`. No torch."""
