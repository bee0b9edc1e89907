// A client's connection as cpp-httplib reads and writes it, with limits that the library has not:
// the whole head of a request, its whole body and each write have a deadline and a size.
#pragma once

#include <httplib.h>

#include <atomic>
#include <string>

#include "base/clock.h"

namespace diptych::server {

struct ConnectionLimits {
  size_t most_head_bytes = 32 << 10, most_body_bytes = 0;
  double head_seconds = 0, body_seconds = 0, write_seconds = 0, idle_seconds = 0;
};

class Connection : public httplib::Stream {
 public:
  // Once `stopping`, nothing is waited for any more.
  Connection(int socket, const ConnectionLimits& limits, const std::atomic<bool>& stopping)
      : socket_(socket), limits_(limits), stopping_(stopping) {}

  // Waits for the first byte of the next request; false when none comes in time, or the client is
  // gone. The request's limits count from there.
  bool wait_for_request();
  // Whether the client has closed its side; does not wait.
  bool client_left() const;
  // What was not read of a request would be taken for the next one.
  void close_after_this() { close_ = true; }
  bool closes() const { return close_; }
  // Lets the client read what was sent before the socket is closed.
  void finish();

  bool is_readable() const override;
  bool is_writable() const override;
  ssize_t read(char* to, size_t size) override;
  ssize_t write(const char* from, size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  socket_t socket() const override { return socket_; }

 private:
  bool fill();  // reads more into buffer_, until the deadline
  // Whether the socket becomes ready for `events` in time.
  bool wait_for(short events, Clock::time_point deadline) const;

  int socket_;
  ConnectionLimits limits_;
  const std::atomic<bool>& stopping_;
  std::string buffer_;  // received, not read yet
  size_t at_ = 0;       // in buffer_
  bool in_head_ = true;
  int line_ends_ = 0;    // of "\r\n\r\n" so far
  size_t received_ = 0;  // of the head or the body
  Clock::time_point deadline_;
  bool close_ = false;
};

}  // namespace diptych::server
