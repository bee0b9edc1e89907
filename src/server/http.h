// An HTTP server that hostile and slow clients cannot hold up: a thin layer over cpp-httplib, which
// http.cc and connection.cc alone include.
//
// Each connection has a thread, and there are at most so many; more are told to come later. A
// request's head, its body, and each part of a response have their time and their size. What is
// not a well-formed request is answered with 4xx, and its connection is closed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json_fwd.h"

namespace diptych::server {

struct HttpOptions {
  std::string host = "127.0.0.1";
  int port = 8080;  // 0: any that is free
  size_t most_connections = 256;
  size_t most_body_bytes = 2 << 20;
  double head_seconds = 10, body_seconds = 60;  // to receive a request
  double write_seconds = 30;                    // to take a part of a response
  double idle_seconds = 30;                     // between requests
};

struct Request {
  std::string method, path, body, client;
  std::string authorization, origin, host;  // of these headers
  std::function<bool()> client_left;        // asks the connection, without waiting
  std::shared_ptr<Json> log;                // what the access log says besides
};

// Sends a part of a response that is a stream; false when the client is gone.
using Send = std::function<bool(std::string_view part)>;

struct Response {
  int status = 200;
  std::string type = "application/json", body;
  std::function<void(const Send& send)> stream;  // in place of the body
  std::vector<std::pair<std::string, std::string>> headers;
};

struct HttpHandlers {
  // The response to a request whose body was not read, where there is one already (404, 401, what
  // takes no body); else handle() gets the request with its body, which it may take.
  std::function<bool(const Request& request, Response& response)> begin;
  std::function<Response(Request& request)> handle;
  // Once the response is sent: what the access log may say.
  std::function<void(const Request& request, int status, double seconds)> done;
};

class HttpServer {
 public:
  // Errors: the address cannot be had.
  static Result<std::unique_ptr<HttpServer>> bind(const HttpOptions& options,
                                                  HttpHandlers handlers);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  int port() const;
  // Accepts connections until stop(), from any thread; returns when all of them are done.
  void run();
  void stop();

 private:
  struct Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace diptych::server
