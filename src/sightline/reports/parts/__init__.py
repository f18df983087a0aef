"""The parts of the page: tables, figures, pictures, sections."""
