<?php
// A vendor's site that signs members in by imis-idp. PHP 8 with openssl, no packages: php -S 127.0.0.1:8080 vendor.php
declare(strict_types=1);

define('IDP', getenv('IDP_URL'));
define('SERVICE', getenv('IDP_SERVICE_URL') ?: IDP);
define('SITE', getenv('SITE_URL'));
define('SECRET', getenv('IDP_SECRET'));
define('FOLDER', getenv('VENDOR_FOLDER') ?: sys_get_temp_dir() . '/vendor-sample');  // a real site has a database

class Refused extends Exception {}

// The member's profile for a token. The token is spent, whatever comes next.
function redeem(string $client, string $token, string $arrivedAt): array
{
    $context = stream_context_create(['http' => [
        'method' => 'POST',
        'header' => ['Authorization: Basic ' . base64_encode("$client:" . SECRET), 'Content-Type: application/x-www-form-urlencoded'],
        'content' => http_build_query(['token' => $token, 'return' => $arrivedAt]),
        'ignore_errors' => true,
        'timeout' => 10,
    ]]);
    $told = json_decode((string) file_get_contents(SERVICE . '/service/redeem', false, $context), true);
    if (!isset($told['subject'])) {
        throw new Refused('Sign-in failed: ' . ($told['message'] ?? 'no answer') . ' (' . ($told['error'] ?? '') . ', reference ' . ($told['reference'] ?? '') . ')');
    }
    return $told;
}

// The session of a logout notice. Throws unless all of it is right (OpenID Connect Back-Channel Logout 1.0, 2.6).
function checkNotice(string $token): string
{
    $parts = explode('.', $token);
    $header = json_decode(decode($parts[0]), true);
    $claims = json_decode(decode($parts[1] ?? ''), true);
    if (count($parts) !== 3 || !is_array($header) || !is_array($claims)) {
        throw new Refused('This is no logout notice.');
    }
    $good = isSigned((string) ($header['kid'] ?? ''), "$parts[0].$parts[1]", decode($parts[2]))
        && ($header['alg'] ?? '') === 'RS256' && ($header['typ'] ?? '') === 'logout+jwt'
        && ($claims['iss'] ?? '') === IDP && ($claims['aud'] ?? '') === 'sample-token' && ($claims['exp'] ?? 0) > time()
        && isset($claims['events']['http://schemas.openid.net/event/backchannel-logout']) && !isset($claims['nonce'])
        && is_string($claims['sid'] ?? null) && is_string($claims['jti'] ?? null);
    if (!$good || !@mkdir(FOLDER . '/notice-' . hash('sha256', $claims['jti']))) {  // mkdir: of two at once one wins
        throw new Refused('This logout notice is not good.');
    }
    return $claims['sid'];
}

function isSigned(string $kid, string $message, string $signature): bool
{
    $context = stream_context_create(['http' => ['timeout' => 10]]);
    // A real site keeps the keys for an hour, and asks again for a kid that it does not know.
    $keys = json_decode((string) file_get_contents(SERVICE . '/oauth/jwks', false, $context), true)['keys'] ?? [];
    foreach ($keys as $key) {
        if ($key['kid'] === $kid && $key['kty'] === 'RSA') {
            return openssl_verify($message, $signature, publicKey(decode($key['n']), decode($key['e'])), OPENSSL_ALGO_SHA256) === 1;
        }
    }
    return false;
}

// A public key from its two numbers, as PEM (RFC 8017, A.1.1, in RFC 5280's SubjectPublicKeyInfo).
function publicKey(string $modulus, string $exponent): string
{
    $numbers = der("\x30", der("\x02", "\x00$modulus") . der("\x02", $exponent));
    $algorithm = "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
    return "-----BEGIN PUBLIC KEY-----\n" . chunk_split(base64_encode(der("\x30", $algorithm . der("\x03", "\x00$numbers"))), 64) . "-----END PUBLIC KEY-----\n";
}

function der(string $tag, string $content): string
{
    $length = strlen($content);
    $octets = $length < 128 ? chr($length) : ($length < 256 ? "\x81" . chr($length) : "\x82" . pack('n', $length));
    return $tag . $octets . $content;
}

function decode(string $text): string
{
    return (string) base64_decode(strtr($text, '-_', '+/'), true);
}

function page(): string
{
    $idp = IDP;
    return <<<HTML
    <!doctype html><title>Sample</title><p id="who"><a href="/login">Sign in</a></p>
    <script>
    const enter = answer => { if (answer.signedIn) document.getElementById("who").textContent = "You are signed in."; };
    fetch("$idp/jsonp/fetch?client=sample-jsonp", { credentials: "include" })
      .then(answer => answer.json()).then(enter)
      .catch(() => {  // an old browser: by a script element
        const script = document.createElement("script");
        script.src = "$idp/jsonp/ping?client=sample-jsonp&callback=enter";
        window.enter = enter;
        document.head.append(script);
      });  // where neither gets through, the link stays
    </script>
    HTML;
}

function sessionFile(string $session): string
{
    return FOLDER . '/session-' . hash('sha256', $session);
}

function profileOf(string $session): ?array
{
    $file = sessionFile($session);
    return $session !== '' && is_file($file) ? json_decode((string) file_get_contents($file), true) : null;
}

function greeting(array $profile): string
{
    return 'Welcome, ' . htmlspecialchars((string) ($profile['attributes']['full_name'] ?? 'member')) . ' (' . htmlspecialchars($profile['subject']) . ')';
}

function enter(string $client, string $token, string $arrivedAt): void
{
    $profile = redeem($client, $token, $arrivedAt);
    $session = bin2hex(random_bytes(32));  // always a new one
    file_put_contents(sessionFile($session), json_encode($profile));
    setcookie('vendor', $session, ['path' => '/', 'httponly' => true, 'samesite' => 'Lax', 'secure' => str_starts_with(SITE, 'https:')]);
    echo greeting($profile);
}

function field(array $from, string $name): string
{
    return is_string($from[$name] ?? null) ? $from[$name] : '';
}

function go(string $path): void
{
    header('Location: ' . IDP . $path . '?' . http_build_query(['client' => 'sample-token', 'return' => SITE . '/sso']), true, 302);
}

@mkdir(FOLDER, 0700, true);
header('Content-Type: text/html; charset=utf-8');
header('Cache-Control: no-store');
$ours = field($_COOKIE, 'vendor');
try {
    switch ($_SERVER['REQUEST_METHOD'] . ' ' . parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH)) {
        case 'GET /':
            $profile = profileOf($ours);
            echo $profile ? greeting($profile) : 'You are not signed in.';
            break;
        case 'GET /login':
            go('/token/signon');
            break;
        case 'POST /sso':
            enter('sample-token', field($_POST, 'token'), SITE . '/sso');
            break;
        case 'GET /cookie':
            enter('sample-cookie', field($_COOKIE, 'idp_sample-cookie'), SITE . '/cookie');
            break;
        case 'GET /page':
            echo page();
            break;
        case 'GET /logout':
            @unlink(sessionFile($ours));
            go('/token/logout');
            break;
        case 'POST /logout-notice':  // our server is called by the sign-in service: there is no browser here
            $ended = checkNotice(field($_POST, 'logout_token'));
            foreach (glob(FOLDER . '/session-*') as $file) {
                $profile = json_decode((string) @file_get_contents($file), true);
                if (($profile['session'] ?? '') === $ended) {
                    @unlink($file);
                }
            }
            echo 'Done.';
            break;
        default:
            http_response_code(404);
            echo 'There is no such page.';
    }
} catch (Refused $refused) {
    http_response_code(400);
    echo htmlspecialchars($refused->getMessage());
}
