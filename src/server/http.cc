#include "server/http.h"

#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>

#include "base/json.h"
#include "base/printable.h"
#include "server/connection.h"
#include "server/responses.h"

namespace diptych::server {

namespace {

constexpr size_t kMostPathBytes = 512;
constexpr size_t kChunkOverhead = 64 << 10;  // of a body in chunks

// The length that a request says in digits; 0 where it says none, the most there is where it is
// larger.
uint64_t length_of(const httplib::Request& request) {
  if (!request.has_header("Content-Length")) return 0;
  const std::string text = request.get_header_value("Content-Length");
  uint64_t length = 0;
  const char* const end = text.data() + text.size();
  const auto [after, error] = std::from_chars(text.data(), end, length);
  return error == std::errc() && after == end ? length : UINT64_MAX;
}

// What is wrong with the headers, or null. A proxy in front may see another request in what is not
// well formed (RFC 9112, 11.2).
const char* fault_of(const httplib::Request& request) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  for (const auto& [name, value] : request.headers) {
    for (const char c : name) {
      const bool fine = ('a' <= c && c <= 'z') || ('A' <= c && c <= 'Z') ||
                        ('0' <= c && c <= '9') || kMarks.find(c) != kMarks.npos;
      if (!fine) return "a header's name has a character that is not allowed";
    }
    if (value.find('\0') != value.npos) return "a header has a zero byte";
  }
  for (const char* name : {"Host", "Content-Length", "Transfer-Encoding"}) {
    if (request.get_header_value_count(name) > 1) return "a header stands there twice";
  }
  if (request.has_header("Content-Length")) {
    if (request.has_header("Transfer-Encoding")) return "the body's length is said twice";
    const std::string length = request.get_header_value("Content-Length");
    if (length.empty() || length.find_first_not_of("0123456789") != length.npos) {
      return "Content-Length is no number";
    }
  }
  return nullptr;
}

// What a connection beyond the limit is sent, whatever it asks for.
std::string too_many_connections() {
  const Response response = error_response(503, "too many connections; ask again later");
  std::string text = fmt::format(
      "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Type: {}\r\n"
      "Content-Length: {}\r\n",
      response.type, response.body.size());
  for (const auto& [name, value] : response.headers) text += fmt::format("{}: {}\r\n", name, value);
  return text + "\r\n" + response.body;
}

// A thread for each connection, up to a limit.
class Connections : public httplib::TaskQueue {
 public:
  explicit Connections(size_t most) : most_(most) {}

  // Whether this thread is to turn its connection away.
  static bool& refusing() {
    thread_local bool refusing = false;
    return refusing;
  }

  void enqueue(std::function<void()> serve) override {
    {
      const std::lock_guard lock(mutex_);
      if (count_ < most_) {
        ++count_;
        try {
          std::thread([this, serve] {
            serve();
            const std::lock_guard done(mutex_);
            --count_;
            changed_.notify_all();
          }).detach();
          return;
        } catch (const std::system_error&) {
          --count_;  // the system has no more threads
        }
      }
    }
    refusing() = true;
    serve();
    refusing() = false;
  }
  void shutdown() override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return count_ == 0; });
  }

 private:
  const size_t most_;
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t count_ = 0;
};

}  // namespace

struct HttpServer::Impl : httplib::Server {
  Impl(const HttpOptions& http_options, HttpHandlers http_handlers);

  bool process_and_close_socket(socket_t socket) override;
  HandlerResponse before_body(const httplib::Request& from, httplib::Response& to);
  void with_body(const httplib::Request& from, httplib::Response& to,
                 const httplib::ContentReader& read);
  Request request_of(const httplib::Request& from) const;
  Response body_too_long() const;
  static void give(Response response, const httplib::Request& request, httplib::Response& to);

  // The request that this thread serves.
  struct Serving {
    Connection* connection = nullptr;
    Request request;
    Clock::time_point start;
    int status = 0;  // 0: no response yet
  };
  static Serving& serving() {
    thread_local Serving serving;
    return serving;
  }

  HttpOptions options;
  HttpHandlers handlers;
  int bound_port = 0;
  std::atomic<bool> started = false, stopping = false;
};

HttpServer::Impl::Impl(const HttpOptions& http_options, HttpHandlers http_handlers)
    : options(http_options), handlers(std::move(http_handlers)) {
  set_tcp_nodelay(true);
  // The library's own options would let another server listen on the same port.
  set_socket_options([](socket_t socket) {
    const int yes = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  });
  new_task_queue = [this] { return new Connections(options.most_connections); };
  set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
    return before_body(request, response);
  });
  Post(".*", [this](const httplib::Request& request, httplib::Response& response,
                    const httplib::ContentReader& read) { with_body(request, response, read); });
  // What the library finds wrong by itself.
  set_error_handler([](const httplib::Request&, httplib::Response& response) {
    if (!response.body.empty()) return;
    give(error_response(response.status, "the request is not well formed"), {}, response);
  });
  set_exception_handler([](const httplib::Request&, httplib::Response& response,
                           const std::exception_ptr&) { response.status = 500; });
  set_post_routing_handler([](const httplib::Request&, httplib::Response& response) {
    serving().status = response.status;
    response.set_header("X-Content-Type-Options", "nosniff");
    if (response.status < 400) return;
    response.headers.erase("Keep-Alive");
    response.headers.erase("Connection");
    response.set_header("Connection", "close");
    serving().connection->close_after_this();
  });
}

bool HttpServer::Impl::process_and_close_socket(socket_t socket) {
  if (Connections::refusing()) {
    static const std::string kBusy = too_many_connections();
    [[maybe_unused]] const ssize_t sent =
        ::send(socket, kBusy.data(), kBusy.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    ::close(socket);
    return false;
  }
  ConnectionLimits limits;
  limits.most_body_bytes = options.most_body_bytes + kChunkOverhead;
  limits.head_seconds = options.head_seconds;
  limits.body_seconds = options.body_seconds;
  limits.write_seconds = options.write_seconds;
  limits.idle_seconds = options.idle_seconds;
  Connection connection(socket, limits, stopping);
  while (connection.wait_for_request()) {
    serving() = {&connection, {}, Clock::now(), 0};
    bool closes = false;
    // Many ranges of a file would be sent many times over.
    const bool served = process_request(connection, false, closes,
                                        [](httplib::Request& request) { request.ranges.clear(); });
    const Serving& done = serving();
    if (done.status != 0 && handlers.done) {
      handlers.done(done.request, done.status, seconds_since(done.start));
    }
    if (!served || closes || connection.closes()) break;
  }
  serving() = {};
  connection.finish();
  ::close(socket);
  return true;
}

Request HttpServer::Impl::request_of(const httplib::Request& from) const {
  Request request;
  request.method = from.method;
  request.path = from.path.substr(0, kMostPathBytes);
  request.client = from.remote_addr;
  request.authorization = from.get_header_value("Authorization");
  request.origin = from.get_header_value("Origin");
  request.host = from.get_header_value("Host");
  request.client_left = [connection = serving().connection] { return connection->client_left(); };
  request.log = std::make_shared<Json>(Json::object());
  return request;
}

Response HttpServer::Impl::body_too_long() const {
  return error_response(413,
                        fmt::format("the body is longer than {} bytes", options.most_body_bytes));
}

void HttpServer::Impl::give(Response response, const httplib::Request& request,
                            httplib::Response& to) {
  to.status = response.status;
  for (const auto& [name, value] : response.headers) to.set_header(name, value);
  if (!response.stream) {
    to.set_content(std::move(response.body), response.type);
    return;
  }
  const auto provide = [stream = std::move(response.stream)](size_t, httplib::DataSink& sink) {
    stream([&sink](std::string_view part) {
      return part.empty() || sink.write(part.data(), part.size());
    });
    sink.done();
    return true;
  };
  if (request.version == "HTTP/1.0") {
    serving().connection->close_after_this();
    to.set_content_provider(response.type, provide);  // until the connection is closed
  } else {
    to.set_chunked_content_provider(response.type, provide);
  }
}

httplib::Server::HandlerResponse HttpServer::Impl::before_body(const httplib::Request& from,
                                                               httplib::Response& to) {
  const auto refuse = [&](int status, std::string_view why) {
    give(error_response(status, why), from, to);
    return HandlerResponse::Handled;
  };
  serving().request = request_of(from);
  if (const char* fault = fault_of(from)) return refuse(400, fault);
  if (from.path.size() > kMostPathBytes) return refuse(414, "the path is too long");
  Response response;
  if (handlers.begin(serving().request, response)) {
    // A body that comes with it is not read.
    if (from.has_header("Content-Length") || from.has_header("Transfer-Encoding")) {
      if (from.get_header_value("Content-Length") != "0") {
        serving().connection->close_after_this();
      }
    }
    give(std::move(response), from, to);
    return HandlerResponse::Handled;
  }
  if (from.method != "POST") return refuse(405, "this takes POST");
  // Bodies in forms and compressed ones are not limited by the library; neither is needed. That
  // JSON is said to be JSON also keeps other sites' forms out.
  if (!from.get_header_value("Content-Type").starts_with("application/json")) {
    return refuse(415, "expected Content-Type: application/json");
  }
  if (from.has_header("Content-Encoding")) return refuse(415, "the body is compressed");
  if (!from.has_header("Content-Length")) {
    if (!from.has_header("Transfer-Encoding")) return refuse(411, "the body has no Content-Length");
    if (from.get_header_value("Transfer-Encoding") != "chunked") {
      return refuse(501, "expected Transfer-Encoding: chunked");
    }
  }
  if (length_of(from) > options.most_body_bytes) {
    give(body_too_long(), from, to);
    return HandlerResponse::Handled;
  }
  return HandlerResponse::Unhandled;
}

void HttpServer::Impl::with_body(const httplib::Request& from, httplib::Response& to,
                                 const httplib::ContentReader& read) {
  Request& request = serving().request;
  bool too_long = false;
  const bool whole = read([&](const char* bytes, size_t size) {
    too_long = request.body.size() + size > options.most_body_bytes;
    if (too_long) return false;
    request.body.append(bytes, size);
    return true;
  });
  if (whole) {
    give(handlers.handle(request), from, to);
    return;
  }
  give(too_long ? body_too_long()
                : error_response(400, "the body is not complete, or took too long"),
       from, to);
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::~HttpServer() = default;

Result<std::unique_ptr<HttpServer>> HttpServer::bind(const HttpOptions& options,
                                                     HttpHandlers handlers) {
  auto impl = std::make_unique<Impl>(options, std::move(handlers));
  if (options.port == 0) {
    impl->bound_port = impl->bind_to_any_port(options.host);
  } else if (impl->bind_to_port(options.host, options.port)) {
    impl->bound_port = options.port;
  }
  if (impl->bound_port <= 0) {
    return fail(ErrorCode::Io, "cannot listen on {} port {}: it is in use, or not of this machine",
                one_line(options.host, 100), options.port);
  }
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

int HttpServer::port() const { return impl_->bound_port; }

void HttpServer::run() {
  impl_->started = true;
  if (!impl_->stopping) impl_->listen_after_bind();
}

void HttpServer::stop() {
  if (impl_->stopping.exchange(true) || !impl_->started) return;
  // run() may be about to listen.
  for (int i = 0; i < 100 && !impl_->is_running(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  if (impl_->is_running()) impl_->stop();
}

}  // namespace diptych::server
