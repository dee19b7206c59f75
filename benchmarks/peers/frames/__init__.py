"""One file a framework: how a step is made, waited for, and how the framework is asked about itself."""
