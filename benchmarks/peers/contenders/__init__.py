"""What is measured: each function builds one contender, `function(place, **options) -> Part`, from one package."""
