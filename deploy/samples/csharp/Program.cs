// A vendor's site that signs members in by imis-idp. ASP.NET Core 8, no packages: dotnet run -- 8080
// UNPROVEN: this file was written without a compiler at hand. The other samples of this folder are run by our tests; this one is an outline.
using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

var idp = Environment.GetEnvironmentVariable("IDP_URL")!;
var service = Environment.GetEnvironmentVariable("IDP_SERVICE_URL") ?? idp;
var site = Environment.GetEnvironmentVariable("SITE_URL")!;
var secret = Environment.GetEnvironmentVariable("IDP_SECRET")!;

var sessions = new ConcurrentDictionary<string, JsonElement>(); // our cookie's value -> profile; a real site has a database
var seen = new ConcurrentDictionary<string, long>();            // logout notices by their id -> when to forget them
var http = new HttpClient { Timeout = TimeSpan.FromSeconds(10) };
var app = WebApplication.Create();

// The member's profile for a token. The token is spent, whatever comes next.
async Task<JsonElement> Redeem(string client, string token, string arrivedAt)
{
    var request = new HttpRequestMessage(HttpMethod.Post, $"{service}/service/redeem")
    {
        Content = new FormUrlEncodedContent(new Dictionary<string, string> { ["token"] = token, ["return"] = arrivedAt }),
    };
    request.Headers.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{client}:{secret}")));
    var answer = await http.SendAsync(request);
    var told = JsonDocument.Parse(await answer.Content.ReadAsStringAsync()).RootElement.Clone();
    if (!answer.IsSuccessStatusCode)
        throw new Refused($"Sign-in failed: {told.GetProperty("message")} ({told.GetProperty("error")}, reference {told.GetProperty("reference")})");
    return told;
}

// The session of a logout notice. Throws unless all of it is right (OpenID Connect Back-Channel Logout 1.0, 2.6).
async Task<string> CheckNotice(string token)
{
    try
    {
        var parts = token.Split('.');
        if (parts.Length != 3) throw new FormatException();
        var header = JsonDocument.Parse(Decode(parts[0])).RootElement;
        var claims = JsonDocument.Parse(Decode(parts[1])).RootElement;
        // A real site keeps the keys for an hour, and asks again for a kid that it does not know.
        var keys = JsonDocument.Parse(await http.GetStringAsync($"{service}/oauth/jwks")).RootElement.GetProperty("keys");
        var key = keys.EnumerateArray().First(each => each.GetProperty("kid").GetString() == header.GetProperty("kid").GetString()
                                                      && each.GetProperty("kty").GetString() == "RSA");
        using var rsa = RSA.Create(new RSAParameters { Modulus = Decode(key.GetProperty("n").GetString()!), Exponent = Decode(key.GetProperty("e").GetString()!) });
        var signed = rsa.VerifyData(Encoding.ASCII.GetBytes($"{parts[0]}.{parts[1]}"), Decode(parts[2]), HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        var now = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        var ends = claims.GetProperty("exp").GetInt64();
        var good = signed && header.GetProperty("alg").GetString() == "RS256" && header.GetProperty("typ").GetString() == "logout+jwt"
            && claims.GetProperty("iss").GetString() == idp && claims.GetProperty("aud").GetString() == "sample-token" && ends > now
            && claims.GetProperty("events").TryGetProperty("http://schemas.openid.net/event/backchannel-logout", out _)
            && !claims.TryGetProperty("nonce", out _);
        foreach (var (old, end) in seen) if (end < now) seen.TryRemove(old, out _);
        if (!good || !seen.TryAdd(claims.GetProperty("jti").GetString()!, ends)) throw new Refused("This logout notice is not good.");
        return claims.GetProperty("sid").GetString()!;
    }
    catch (Exception error) when (error is not Refused and not HttpRequestException)
    {
        throw new Refused("This is no logout notice.");
    }
}

static byte[] Decode(string text) => Convert.FromBase64String(text.Replace('-', '+').Replace('_', '/').PadRight((text.Length + 3) / 4 * 4, '='));

static string Greeting(JsonElement profile)
{
    var name = profile.GetProperty("attributes").TryGetProperty("full_name", out var given) ? given.GetString()! : "member";
    return $"Welcome, {WebUtility.HtmlEncode(name)} ({WebUtility.HtmlEncode(profile.GetProperty("subject").GetString())})";
}

static IResult Say(string text, int status = 200) => Results.Content(text, "text/html; charset=utf-8", Encoding.UTF8, status);

async Task<IResult> Enter(HttpContext context, string client, string token, string arrivedAt)
{
    try
    {
        var profile = await Redeem(client, token, arrivedAt);
        var session = Convert.ToHexString(RandomNumberGenerator.GetBytes(32)); // always a new one
        sessions[session] = profile;
        context.Response.Cookies.Append("vendor", session, new CookieOptions { HttpOnly = true, SameSite = SameSiteMode.Lax, Secure = site.StartsWith("https:") });
        return Say(Greeting(profile));
    }
    catch (Refused refused)
    {
        return Say(WebUtility.HtmlEncode(refused.Message), 400);
    }
}

IResult Go(string path) => Results.Redirect($"{idp}{path}?client=sample-token&return={Uri.EscapeDataString(site + "/sso")}");

var page = """
    <!doctype html><title>Sample</title><p id="who"><a href="/login">Sign in</a></p>
    <script>
    const enter = answer => { if (answer.signedIn) document.getElementById("who").textContent = "You are signed in."; };
    fetch("IDP/jsonp/fetch?client=sample-jsonp", { credentials: "include" })
      .then(answer => answer.json()).then(enter)
      .catch(() => {  // an old browser: by a script element
        const script = document.createElement("script");
        script.src = "IDP/jsonp/ping?client=sample-jsonp&callback=enter";
        window.enter = enter;
        document.head.append(script);
      });  // where neither gets through, the link stays
    </script>
    """.Replace("IDP", idp);

app.Use((context, next) => { context.Response.Headers.CacheControl = "no-store"; return next(); });
app.MapGet("/", (HttpContext context) =>
    Say(sessions.TryGetValue(context.Request.Cookies["vendor"] ?? "", out var profile) ? Greeting(profile) : "You are not signed in."));
app.MapGet("/login", () => Go("/token/signon"));
app.MapPost("/sso", async (HttpContext context) =>
    await Enter(context, "sample-token", (await context.Request.ReadFormAsync())["token"].ToString(), $"{site}/sso"));
app.MapGet("/cookie", (HttpContext context) =>
    Enter(context, "sample-cookie", context.Request.Cookies["idp_sample-cookie"] ?? "", $"{site}/cookie"));
app.MapGet("/page", () => Say(page));
app.MapGet("/logout", (HttpContext context) =>
{
    sessions.TryRemove(context.Request.Cookies["vendor"] ?? "", out _);
    return Go("/token/logout");
});
// Our server is called by the sign-in service: there is no browser here.
app.MapPost("/logout-notice", async (HttpContext context) =>
{
    try
    {
        var ended = await CheckNotice((await context.Request.ReadFormAsync())["logout_token"].ToString());
        foreach (var (ours, profile) in sessions)
            if (profile.GetProperty("session").GetString() == ended) sessions.TryRemove(ours, out _);
        return Say("Done.");
    }
    catch (Refused refused)
    {
        return Say(WebUtility.HtmlEncode(refused.Message), 400);
    }
});

app.Run($"http://127.0.0.1:{args[0]}");

sealed class Refused(string message) : Exception(message);
