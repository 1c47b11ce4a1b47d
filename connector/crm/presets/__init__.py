"""CRMs as data: the preset files, their language and what is checked of them."""
