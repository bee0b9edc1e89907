// The server: OpenAI's interface and a few more endpoints over the models, by HTTP.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <semaphore>
#include <string>

#include "base/error.h"
#include "openai/exchange.h"
#include "server/http.h"
#include "server/keys.h"
#include "server/models.h"

namespace diptych::server {

struct ServerOptions {
  HttpOptions http;
  ModelOptions models;
  std::string key_file;                        // empty: no keys are asked for
  std::string cors;                            // an origin whose pages may ask, or "*"; empty: none
  std::function<void(const Json& entry)> log;  // of each request; from several threads
};

class Server {
 public:
  // Opens the models and the address. Errors name what is at fault.
  static Result<std::unique_ptr<Server>> create(const ServerOptions& options);
  ~Server();

  int port() const { return http_->port(); }
  std::shared_ptr<const Models> models() const;

  // Serves until stop(); returns when every connection is closed.
  void run();
  // Takes no new requests, lets those that are being answered end for so long, cancels the rest.
  // Called from another thread than run().
  void stop(double drain_seconds);
  // Opens the models' and the keys' files again; requests that are being answered keep what they
  // have. On an error all stays as it is.
  Status reload();

 private:
  explicit Server(const ServerOptions& options) : options_(options) {}

  static constexpr int kMostReading = 8;
  struct Endpoint;
  static const Endpoint kEndpoints[];
  bool begin(const Request& request, Response& response);
  Response handle(Request& request);
  void done(const Request& request, int status, double seconds) const;
  bool host_is_ours(const std::string& host) const;
  void add_cors(const Request& request, Response& response) const;

  // The endpoints; each gets a request whose body is JSON, or none.
  using Reader = Result<openai::Exchange> (*)(const Json& json, const serve::ServedModel& model);
  Result<Response> generate(const Request& request, Json& json, Reader reader);
  Result<Response> chat(const Request& request, Json& json);
  Result<Response> respond(const Request& request, Json& json);
  Result<Response> complete(const Request& request, Json& json);
  Result<Response> tokenize(const Request& request, Json& json);
  Result<Response> detokenize(const Request& request, Json& json);
  Result<Response> apply_template(const Request& request, Json& json);
  Result<Response> list_models(const Request& request, Json& json);
  Result<Response> health(const Request& request, Json& json);
  Result<Response> props(const Request& request, Json& json);
  Result<Response> slots(const Request& request, Json& json);
  Result<Response> metrics(const Request& request, Json& json);
  Result<Response> page(const Request& request, Json& json);

  const ServerOptions options_;
  serve::Turns turns_;
  mutable std::mutex mutex_;  // of the next two
  std::shared_ptr<const Models> models_;
  Keys keys_;
  std::counting_semaphore<> reading_{kMostReading};
  std::atomic<bool> stopping_ = false, cancelling_ = false;
  std::atomic<int> answering_ = 0;
  std::unique_ptr<HttpServer> http_;
};

}  // namespace diptych::server
