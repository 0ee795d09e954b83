# Varnish as a cache in front of the API; docs/operations.md says why it is so.
# It keeps what everybody may read, for a second, and then asks whether it still holds.
# Start varnishd with -p http_range_support=off: the API's ranges are of rows, not of bytes.
vcl 4.1;

backend default {
    .host = "127.0.0.1";
    .port = "8000";
}

sub vcl_recv {
    # Rows are asked for by Range and counted by Prefer; of what it keeps, Varnish drops Range and
    # Content-Range.
    if (req.http.Range || req.http.Prefer) {
        return (pass);
    }
}

sub vcl_backend_response {
    if (!bereq.uncacheable && beresp.status == 200 && beresp.http.Cache-Control ~ "^public") {
        set beresp.ttl = 1s;
        set beresp.grace = 0s;
        set beresp.keep = 1d;
        return (deliver);
    }
}

sub vcl_deliver {
    if (obj.hits > 0) {
        set resp.http.X-Cache = "HIT";
    } else {
        set resp.http.X-Cache = "MISS";
    }
}
