"""The admin API beside functions and jobs, one file per family."""
