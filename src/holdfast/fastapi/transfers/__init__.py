"""Files and objects over HTTP: uploads received as they come, objects sent in ranges."""
