// The HTTP layer by raw sockets: what clients may do wrong, and what becomes of others meanwhile.
#include "server/http.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "base/clock.h"
#include "base/json.h"
#include "testing/shared_data.h"

namespace diptych::server {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class Client {
 public:
  explicit Client(int port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    const timeval limit{10, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  ~Client() { ::close(socket_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool send(std::string_view text) {
    return ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(text.size());
  }
  // What comes until `end` has come, or the connection is closed.
  std::string receive(std::string_view end) {
    while (received_.find(end) == received_.npos || end.empty()) {
      char bytes[4096];
      const ssize_t size = ::recv(socket_, bytes, sizeof bytes, 0);
      if (size <= 0) break;
      received_.append(bytes, static_cast<size_t>(size));
    }
    return std::exchange(received_, {});
  }
  std::string rest() { return receive(""); }

 private:
  int socket_;
  std::string received_;
};

std::string post(const std::string& path, const std::string& body, const std::string& more = "") {
  return "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
         more + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

class Http : public ::testing::Test {
 protected:
  void start(HttpOptions options) {
    options.port = 0;
    HttpHandlers handlers;
    handlers.begin = [](const Request& request, Response& response) {
      if (request.path == "/echo" || request.path == "/wait" || request.path == "/stream") {
        return false;
      }
      response.status = request.path == "/" ? 200 : 404;
      response.body = "\"" + request.method + "\"";
      return true;
    };
    handlers.handle = [this](const Request& request) {
      Response response;
      response.body = request.body;
      if (request.path == "/stream") {
        response.stream = [](const Send& send) {
          for (int i = 0; i < 3; ++i) send("part\n");
        };
      }
      while (request.path == "/wait" && !request.client_left()) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
      if (request.path == "/wait") ++left_;
      return response;
    };
    auto server = HttpServer::bind(options, std::move(handlers));
    ASSERT_OK(server);
    server_ = std::move(*server);
    thread_ = std::thread([this] { server_->run(); });
  }
  void TearDown() override {
    if (!server_) return;
    server_->stop();
    thread_.join();
  }
  std::string answer(const std::string& request) {
    Client client(server_->port());
    client.send(request);
    return client.rest();
  }

  std::unique_ptr<HttpServer> server_;
  std::thread thread_;
  std::atomic<int> left_ = 0;
};

HttpOptions quick() {
  HttpOptions options;
  options.head_seconds = options.body_seconds = options.idle_seconds = 0.5;
  options.write_seconds = 1;
  options.most_body_bytes = 1000;
  return options;
}

TEST_F(Http, ServesOneRequestAfterAnother) {
  start(quick());
  Client client(server_->port());
  client.send(post("/echo", "{\"a\": 1}"));
  EXPECT_THAT(client.receive("{\"a\": 1}"), StartsWith("HTTP/1.1 200"));
  // Two at once.
  client.send(post("/echo", "[1]") + post("/stream", "[2]"));
  const std::string both = client.receive("0\r\n\r\n");
  EXPECT_THAT(both, HasSubstr("[1]HTTP/1.1 200"));
  EXPECT_THAT(both, HasSubstr("part\n"));
  client.send("HEAD / HTTP/1.1\r\n\r\n");
  EXPECT_THAT(client.receive("\r\n\r\n"), StartsWith("HTTP/1.1 200"));
}

TEST_F(Http, RefusesWhatIsNotWellFormed) {
  start(quick());
  struct Case {
    std::string request;
    const char* status;
  };
  const Case cases[] = {
      {"nonsense\r\n\r\n", "HTTP/1.1 400"},
      {"GET / HTTP/9.9\r\n\r\n", "HTTP/1.1 400"},
      {"GET /" + std::string(600, 'a') + " HTTP/1.1\r\n\r\n", "HTTP/1.1 414"},
      {"GET /../../etc/passwd HTTP/1.1\r\n\r\n", "HTTP/1.1 404"},
      {"GET /%2e%2e/%00 HTTP/1.1\r\n\r\n", "HTTP/1.1 404"},
      {"PUT /echo HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", "HTTP/1.1 405"},
      {"POST /echo HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", "HTTP/1.1 415"},
      {"POST /echo HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=x\r\n"
       "Content-Length: 2\r\n\r\n{}",
       "HTTP/1.1 415"},
      {post("/echo", "{}", "Content-Encoding: gzip\r\n"), "HTTP/1.1 415"},
      {post("/echo", "{}", "Transfer-Encoding: chunked\r\n"), "HTTP/1.1 400"},
      {post("/echo", std::string(2000, ' ')), "HTTP/1.1 413"},
      {"POST /echo HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: -5\r\n\r\n",
       "HTTP/1.1 400"},
      {"POST /echo HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: "
       "99999999999999999999\r\n\r\n",
       "HTTP/1.1 413"},
      {post("/echo", "{}", "Content-Length: 70\r\n"), "HTTP/1.1 400"},
      {"POST /echo HTTP/1.1\r\nContent-Type: application/json\r\n\r\n", "HTTP/1.1 411"},
      {"POST /echo HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: gzip, chunked"
       "\r\n\r\n",
       "HTTP/1.1 501"},
      {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", "HTTP/1.1 400"},
      {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "HTTP/1.1 400"},
      {"POST /echo HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
       "\r\n" +
           std::string("7d0\r\n") + std::string(2000, ' ') + "\r\n0\r\n\r\n",
       "HTTP/1.1 413"},
  };
  for (const Case& row : cases) {
    const std::string found = answer(row.request);
    EXPECT_THAT(found, StartsWith(row.status)) << row.request.substr(0, 100);
    EXPECT_THAT(found, HasSubstr("Connection: close")) << row.request.substr(0, 100);
  }
  EXPECT_THAT(answer(post("/echo", "[3]", "Connection: close\r\n")), HasSubstr("[3]"));
}

TEST_F(Http, SharesItsPortWithNobody) {
  start(quick());
  HttpOptions options = quick();
  options.port = server_->port();
  const auto second = HttpServer::bind(options, {});
  ASSERT_FALSE(second.has_value());
  EXPECT_THAT(second.error().to_string(), HasSubstr("it is in use"));
}

TEST_F(Http, TakesChunkedBodies) {
  start(quick());
  EXPECT_THAT(
      answer("POST /echo HTTP/1.1\r\nContent-Type: application/json\r\nConnection: close\r\n"
             "Transfer-Encoding: chunked\r\n\r\n2\r\n[1\r\n2\r\n2]\r\n0\r\n\r\n"),
      HasSubstr("[12]"));
}

TEST_F(Http, AHeadHasItsTimeAndItsSize) {
  start(quick());
  const auto begin = Clock::now();
  Client slow(server_->port());
  for (int i = 0; i < 40 && slow.send("x"); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    if (seconds_since(begin) > 1.2) break;
  }
  slow.rest();
  EXPECT_LT(seconds_since(begin), 3);

  Client endless(server_->port());
  std::string lines = "GET / HTTP/1.1\r\n";
  for (int i = 0; i < 2000; ++i) lines += "X-Header: " + std::string(100, 'y') + "\r\n";
  endless.send(lines);
  EXPECT_THAT(endless.rest(), ::testing::AnyOf("", StartsWith("HTTP/1.1 400")));

  Client line(server_->port());
  line.send(std::string(100'000, 'z'));
  EXPECT_THAT(line.rest(), ::testing::AnyOf("", StartsWith("HTTP/1.1 4")));
}

TEST_F(Http, ABodyHasItsTime) {
  start(quick());
  const auto begin = Clock::now();
  Client client(server_->port());
  client.send(
      "POST /echo HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{");
  EXPECT_THAT(client.rest(), ::testing::AnyOf("", StartsWith("HTTP/1.1 400")));
  EXPECT_LT(seconds_since(begin), 3);
}

TEST_F(Http, TellsWhenTheClientHasLeft) {
  start(quick());
  { Client(server_->port()).send(post("/wait", "1")); }
  for (int i = 0; i < 200 && left_ == 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(left_, 1);
}

TEST_F(Http, ConnectionsAreCounted) {
  HttpOptions options = quick();
  options.most_connections = 3;
  options.idle_seconds = 5;
  start(options);
  std::vector<std::unique_ptr<Client>> idle;
  for (int i = 0; i < 3; ++i) {
    idle.push_back(std::make_unique<Client>(server_->port()));
    idle.back()->send(post("/echo", "1"));
    idle.back()->receive("\r\n\r\n1");
  }
  EXPECT_THAT(answer(post("/echo", "1")), StartsWith("HTTP/1.1 503"));
  idle.clear();
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  EXPECT_THAT(answer(post("/echo", "1", "Connection: close\r\n")), StartsWith("HTTP/1.1 200"));
}

TEST_F(Http, StreamsToTheOldVersionEndWithTheConnection) {
  start(quick());
  std::string request = post("/stream", "1");
  request.replace(request.find("HTTP/1.1"), 8, "HTTP/1.0");
  const std::string found = answer(request);
  EXPECT_THAT(found, ::testing::EndsWith("part\npart\npart\n"));
}

TEST(HttpServer, SaysWhenAnAddressCannotBeHad) {
  HttpOptions options;
  options.host = "192.0.2.1";  // of documentation
  EXPECT_FALSE(HttpServer::bind(options, {}));
}

}  // namespace
}  // namespace diptych::server
