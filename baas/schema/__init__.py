"""What collections are declared to hold: values, models, validation."""
