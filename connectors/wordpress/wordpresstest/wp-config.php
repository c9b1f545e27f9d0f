<?php
if (!defined('WT_SITE')) {
	define('WT_SITE', getenv('WT_SITE') ?: 'root');
}
define('WT_SECRET', getenv('WT_SECRET'));
define('DB_NAME', 'wp_' . WT_SITE);
define('DB_USER', 'root');
define('DB_PASSWORD', '');
define('DB_HOST', 'localhost:' . getenv('WT_SOCKET'));
define('DB_CHARSET', 'utf8mb4');
define('DB_COLLATE', '');
foreach (['AUTH_KEY', 'SECURE_AUTH_KEY', 'LOGGED_IN_KEY', 'NONCE_KEY', 'AUTH_SALT', 'SECURE_AUTH_SALT', 'LOGGED_IN_SALT', 'NONCE_SALT'] as $k) {
	define($k, 'test-' . $k);
}
define('WP_ENVIRONMENT_TYPE', $_SERVER['HTTP_X_WORDPRESSTEST_ENVIRONMENT'] ?? 'local'); // application passwords over plain HTTP
define('WP_HTTP_BLOCK_EXTERNAL', true);
define('AUTOMATIC_UPDATER_DISABLED', true);
define('DISABLE_WP_CRON', true);
define('WP_DEBUG', false);
// The site is at whatever address it was asked at, so that a proxy can stand in front of it.
define('WP_HOME', (PHP_SAPI === 'cli' ? getenv('WT_URL') : 'http://' . $_SERVER['HTTP_HOST']) . (WT_SITE === 'root' ? '' : '/' . WT_SITE));
define('WP_SITEURL', WP_HOME);
define('UPLOADS', 'wp-content/uploads/' . WT_SITE);
$table_prefix = 'wp_';
if (!defined('ABSPATH')) {
	define('ABSPATH', __DIR__ . '/');
}
require_once ABSPATH . 'wp-settings.php';
