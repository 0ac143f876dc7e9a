drop schema pleat cascade;
