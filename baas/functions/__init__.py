"""Cloud functions: declared by decorators, loaded as releases, run by one invoker."""
