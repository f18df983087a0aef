"""The parts of the page: tables, charts, images, sections."""
