#include "server/connection.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace diptych::server {

namespace {

Clock::time_point after(double seconds) {
  return Clock::now() +
         std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

void address_of(int (*name)(int, sockaddr*, socklen_t*), int socket, std::string& ip, int& port) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (name(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) return;
  char text[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    port = ntohs(v4.sin_port);
  } else if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    port = ntohs(v6.sin6_port);
  }
  ip = text;
}

}  // namespace

bool Connection::wait_for(short events, Clock::time_point deadline) const {
  constexpr double kLookAround = 0.2;  // whether it is time to stop
  for (;;) {
    const double left = to_seconds(deadline - Clock::now());
    const double wait = std::clamp(left, 0.0, kLookAround);
    pollfd entry{socket_, events, 0};
    const int ready = ::poll(&entry, 1, static_cast<int>(wait * 1000) + 1);
    if (ready > 0) return true;
    if ((ready < 0 && errno != EINTR) || left <= 0 || stopping_) return false;
  }
}

bool Connection::fill() {
  if (received_ >= (in_head_ ? limits_.most_head_bytes : limits_.most_body_bytes)) return false;
  for (;;) {
    if (!wait_for(POLLIN, deadline_)) return false;
    char bytes[16 << 10];
    const ssize_t size = ::recv(socket_, bytes, sizeof bytes, MSG_DONTWAIT);
    if (size > 0) {
      buffer_.assign(bytes, static_cast<size_t>(size));
      at_ = 0;
      return true;
    }
    if (size == 0 || (errno != EINTR && errno != EAGAIN)) return false;
  }
}

bool Connection::wait_for_request() {
  in_head_ = true;
  line_ends_ = 0;
  received_ = 0;
  deadline_ = after(limits_.idle_seconds);
  if (at_ == buffer_.size() && (stopping_ || !fill())) return false;
  deadline_ = after(limits_.head_seconds);
  return true;
}

bool Connection::client_left() const {
  pollfd entry{socket_, POLLRDHUP, 0};
  return ::poll(&entry, 1, 0) > 0 && (entry.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

void Connection::finish() {
  ::shutdown(socket_, SHUT_WR);
  // Bytes that nobody reads would make the system drop what was sent.
  const auto end = after(1);
  constexpr size_t kMostDrained = 1 << 20;
  char bytes[16 << 10];
  for (size_t drained = 0; drained < kMostDrained && wait_for(POLLIN, end);) {
    const ssize_t size = ::recv(socket_, bytes, sizeof bytes, MSG_DONTWAIT);
    if (size <= 0) return;
    drained += static_cast<size_t>(size);
  }
}

bool Connection::is_readable() const { return at_ < buffer_.size() || wait_for(POLLIN, deadline_); }

bool Connection::is_writable() const {
  return wait_for(POLLOUT, after(limits_.write_seconds)) && !client_left();
}

ssize_t Connection::read(char* to, size_t size) {
  if (at_ == buffer_.size() && !fill()) {
    close_ = true;
    return -1;
  }
  const size_t count = std::min(size, buffer_.size() - at_);
  size_t taken = 0;
  while (taken < count) {
    const char c = to[taken++] = buffer_[at_++];
    if (!in_head_) {
      const size_t rest = count - taken;
      std::memcpy(to + taken, &buffer_[at_], rest);
      at_ += rest;
      taken += rest;
      break;
    }
    line_ends_ = c == "\r\n\r\n"[line_ends_] ? line_ends_ + 1 : c == '\r' ? 1 : 0;
    if (line_ends_ == 4) {
      in_head_ = false;
      received_ = 0;
      deadline_ = after(limits_.body_seconds);
      return static_cast<ssize_t>(taken);
    }
  }
  received_ += taken;
  return static_cast<ssize_t>(taken);
}

ssize_t Connection::write(const char* from, size_t size) {
  const auto deadline = after(limits_.write_seconds);
  for (size_t sent = 0; sent < size;) {
    const ssize_t count = ::send(socket_, from + sent, size - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0) {
      sent += static_cast<size_t>(count);
    } else if (errno == EAGAIN || errno == EINTR) {
      if (!wait_for(POLLOUT, deadline)) {
        close_ = true;
        return -1;
      }
    } else {
      close_ = true;
      return -1;
    }
  }
  return static_cast<ssize_t>(size);
}

void Connection::get_remote_ip_and_port(std::string& ip, int& port) const {
  address_of(::getpeername, socket_, ip, port);
}

void Connection::get_local_ip_and_port(std::string& ip, int& port) const {
  address_of(::getsockname, socket_, ip, port);
}

}  // namespace diptych::server
