"""From the names in a folder to how they are read: parts, classes, what is left out and why. No file is opened."""

from advisor.data.layout.reading import read_layout as read_layout
from advisor.data.layout.record import Layout as Layout
from advisor.data.layout.tree import Folder as Folder
from advisor.data.layout.tree import scan as scan
