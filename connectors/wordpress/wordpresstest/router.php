<?php
// Stands for the web server's rewriting: /NAME/… is the site NAME, whose database is wp_NAME; without a name it is the site "root".
$root = $_SERVER['DOCUMENT_ROOT'];
$uri = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
$prefix = '';
if (preg_match('~^/(s[0-9]+)(/|$)~', $uri, $m)) {
	$prefix = '/' . $m[1];
	define('WT_SITE', $m[1]);
} else {
	define('WT_SITE', 'root');
}
$path = rawurldecode(substr($uri, strlen($prefix)));
if (strpos($path, '..') !== false) {
	http_response_code(404);
	return true;
}
$file = $root . $path;
if (is_dir($file) && is_file(rtrim($file, '/') . '/index.php') && $path !== '' && $path !== '/') {
	$path = rtrim($path, '/') . '/index.php';
	$file = $root . $path;
}
if (is_file($file) && substr($file, -4) !== '.php') {
	$types = ['css' => 'text/css', 'js' => 'text/javascript', 'png' => 'image/png', 'jpg' => 'image/jpeg', 'svg' => 'image/svg+xml', 'gif' => 'image/gif'];
	header('Content-Type: ' . ($types[pathinfo($file, PATHINFO_EXTENSION)] ?? 'application/octet-stream'));
	readfile($file);
	return true;
}
if (!is_file($file)) {
	$path = '/index.php';
	$file = $root . $path;
}
$_SERVER['SCRIPT_NAME'] = $_SERVER['PHP_SELF'] = $prefix . $path;
$_SERVER['SCRIPT_FILENAME'] = $file;
chdir(dirname($file));
require $file;
