/* The one list of errors: enum, wire code, HTTP status, title, and what the caller should do.
 *
 * Functions return int: 0 is ok, a negative value one of these. The code, title and advice are what
 * a client sees in problem+json (docs/protocol.md), so their wording is part of the public
 * protocol. */
#ifndef STOA_BASE_ERROR_H
#define STOA_BASE_ERROR_H

/* X(name, HTTP status, wire code, title, what to do) */
#define ERROR_LIST(X)                                                                              \
    X(ERR_BAD_REQUEST, 400, "bad_request", "Malformed request",                                    \
      "Check the request against the protocol.")                                                   \
    X(ERR_BAD_JSON, 400, "bad_json", "Malformed JSON",                                             \
      "Send one JSON object in UTF-8 without duplicate keys.")                                     \
    X(ERR_BAD_CURSOR, 400, "bad_cursor", "Unknown cursor", "Join again: poll without since.")      \
    X(ERR_BAD_UTF8, 400, "bad_utf8", "Invalid UTF-8",                                              \
      "Send valid UTF-8 without control characters.")                                              \
    X(ERR_UNAUTHORIZED, 401, "unauthorized", "Not authenticated",                                  \
      "Send a valid token or key as Authorization: Bearer.")                                       \
    X(ERR_TOKEN_EXPIRED, 401, "token_expired", "Token expired",                                    \
      "Get a new token from the application.")                                                     \
    X(ERR_FORBIDDEN, 403, "forbidden", "Not allowed",                                              \
      "This token's role or room does not allow this.")                                            \
    X(ERR_ROOM_NOT_FOUND, 404, "room_not_found", "No such room",                                   \
      "Create the room first with PUT /v1/rooms/{room}.")                                          \
    X(ERR_NOT_FOUND, 404, "not_found", "No such resource", "Check the path against the protocol.") \
    X(ERR_METHOD, 405, "method_not_allowed", "Method not allowed",                                 \
      "Use a method from the Allow header.")                                                       \
    X(ERR_REQUEST_TIMEOUT, 408, "request_timeout", "Request came too slowly",                      \
      "Send the whole request sooner.")                                                            \
    X(ERR_ROOM_CLOSED, 409, "room_closed", "Room is closed", "The room takes no more messages.")   \
    X(ERR_ROOM_EXISTS, 409, "room_exists", "Room exists", "Change it with PUT /v1/rooms/{room}.")  \
    X(ERR_BODY_TOO_LARGE, 413, "body_too_large", "Body too large", "Send a smaller body.")         \
    X(ERR_URI_TOO_LONG, 414, "uri_too_long", "Request line too long",                              \
      "Send a shorter request line.")                                                              \
    X(ERR_USER_RATE, 429, "user_rate", "Too many messages from this user",                         \
      "Wait retry_after_ms, then send again.")                                                     \
    X(ERR_ROOM_RATE, 429, "room_rate", "Too many messages in this room",                           \
      "Wait retry_after_ms, then send again.")                                                     \
    X(ERR_SLOW_MODE, 429, "slow_mode", "The room is in slow mode",                                 \
      "Wait retry_after_ms, then send again.")                                                     \
    X(ERR_ROOM_FULL, 429, "room_full", "The room is full",                                         \
      "Wait retry_after_ms, then try to join again.")                                              \
    X(ERR_HEADERS_TOO_LARGE, 431, "headers_too_large", "Header fields too large",                  \
      "Send fewer or shorter header fields.")                                                      \
    X(ERR_INTERNAL, 500, "internal", "Internal error", "Report this with the server's log.")       \
    X(ERR_NOT_IMPLEMENTED, 501, "not_implemented", "Not implemented",                              \
      "Use a feature from the protocol.")                                                          \
    X(ERR_COUNTING_OFF, 501, "counting_off", "This server does not count",                         \
      "Its operator has set counting to off.")                                                     \
    X(ERR_OVERLOADED, 503, "overloaded", "Server is overloaded",                                   \
      "Wait retry_after_ms, then try again.")                                                      \
    X(ERR_STORE_UNAVAILABLE, 503, "store_unavailable", "Store is unavailable",                     \
      "Wait retry_after_ms, then try again with the same Idempotency-Key.")                        \
    X(ERR_DRAINING, 503, "draining", "Server is shutting down",                                    \
      "Wait retry_after_ms, then reconnect.")                                                      \
    X(ERR_HTTP_VERSION, 505, "http_version", "HTTP version not supported", "Use HTTP/1.1.")

enum error_index {
#define X(name, status, code, title, advice) name##_INDEX,
    ERROR_LIST(X)
#undef X
        ERROR_COUNT
};

enum error {
    OK = 0,
#define X(name, status, code, title, advice) name = -1 - name##_INDEX,
    ERROR_LIST(X)
#undef X
};

/* err is one of enum error but OK. Strings are static. Any thread. */
int error_status(int err);
const char *error_code(int err);
const char *error_title(int err);
const char *error_advice(int err);

#endif
