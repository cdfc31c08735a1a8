"""Programs as users write them: ``right`` has no error for type checkers, and each marked line of ``wrong`` has one."""
