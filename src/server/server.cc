#include "server/server.h"

#include <thread>

#include "base/clock.h"
#include "base/json.h"
#include "base/printable.h"
#include "openai/chat.h"
#include "openai/completions.h"
#include "openai/error.h"
#include "openai/parameters.h"
#include "openai/responses.h"
#include "openai/wire.h"
#include "server/metrics.h"
#include "server/page.h"
#include "server/responses.h"
#include "text/stream_decoder.h"

namespace diptych::server {

namespace {

constexpr auto kLookAround = std::chrono::milliseconds(50);  // for a client that has left
constexpr double kSignOfLife = 5;  // seconds of silence in a stream before a comment is sent

// The name or address in a Host header, without the port.
std::string_view name_of(std::string_view host) {
  if (host.starts_with('[')) return host.substr(0, host.find(']') + 1);
  return host.substr(0, host.find(':'));
}

// A request that is being answered, counted.
class Counted {
 public:
  explicit Counted(std::atomic<int>& count) : count_(count) { ++count_; }
  ~Counted() { --count_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  std::atomic<int>& count_;
};

// The same with its reply. When nobody is there any more to take that, it is cancelled.
class Answering {
 public:
  Answering(std::atomic<int>& count, std::shared_ptr<serve::Reply> reply)
      : counted_(count), reply_(std::move(reply)) {}
  ~Answering() { reply_->cancel(); }
  Answering(const Answering&) = delete;
  Answering& operator=(const Answering&) = delete;

 private:
  Counted counted_;
  std::shared_ptr<serve::Reply> reply_;
};

const Error* first_error(const std::vector<serve::Outcome>& outcomes) {
  for (const serve::Outcome& outcome : outcomes) {
    if (outcome.error) return &*outcome.error;
  }
  return nullptr;
}

void log_outcomes(const std::vector<serve::Outcome>& outcomes, Json& log) {
  int64_t prompt = 0, reused = 0, answer = 0;
  double wait = 0, first = 0;
  for (const serve::Outcome& outcome : outcomes) {
    prompt += outcome.prompt_tokens;
    reused += outcome.reused_tokens;
    answer += outcome.answer_tokens;
    wait = std::max(wait, outcome.wait_seconds);
    first = std::max(first, outcome.prompt_seconds);
  }
  log["prompt_tokens"] = prompt;
  log["reused_tokens"] = reused;
  log["answer_tokens"] = answer;
  log["wait_seconds"] = wait;
  log["prompt_seconds"] = first;
  if (!outcomes.empty()) log["reason"] = generate::name(outcomes.front().reason);
}

}  // namespace

// Where a path has a '*' at its end, anything may follow.
struct Server::Endpoint {
  std::string_view method, path;
  bool open;  // asks for no key
  Result<Response> (Server::*serve)(const Request& request, Json& json);

  bool fits(std::string_view asked) const {
    return path.ends_with('*') ? asked.starts_with(path.substr(0, path.size() - 1)) : asked == path;
  }
};

const Server::Endpoint Server::kEndpoints[] = {
    {"POST", "/v1/chat/completions", false, &Server::chat},
    {"POST", "/v1/completions", false, &Server::complete},
    {"POST", "/v1/responses", false, &Server::respond},
    {"GET", "/v1/models", false, &Server::list_models},
    {"GET", "/v1/models/*", false, &Server::list_models},
    {"POST", "/tokenize", false, &Server::tokenize},
    {"POST", "/detokenize", false, &Server::detokenize},
    {"POST", "/apply-template", false, &Server::apply_template},
    {"GET", "/health", true, &Server::health},
    {"GET", "/props", false, &Server::props},
    {"GET", "/slots", false, &Server::slots},
    {"GET", "/metrics", false, &Server::metrics},
    {"GET", "/", true, &Server::page},
    {"GET", "/page/*", true, &Server::page},
};

Result<std::unique_ptr<Server>> Server::create(const ServerOptions& options) {
  std::unique_ptr<Server> server(new Server(options));
  if (!options.key_file.empty()) server->keys_ = TRY(Keys::read(options.key_file));
  Server& self = *server;
  HttpHandlers handlers;
  handlers.begin = [&self](const Request& request, Response& response) {
    return self.begin(request, response);
  };
  handlers.handle = [&self](Request& request) { return self.handle(request); };
  handlers.done = [&self](const Request& request, int status, double seconds) {
    self.done(request, status, seconds);
  };
  server->http_ = TRY(HttpServer::bind(options.http, std::move(handlers)));
  server->models_ = TRY(Models::open(options.models, server->turns_));
  return server;
}

Server::~Server() = default;

std::shared_ptr<const Models> Server::models() const {
  const std::lock_guard lock(mutex_);
  return models_;
}

void Server::run() {
  http_->run();
  models()->stop();
}

void Server::stop(double drain_seconds) {
  stopping_ = true;
  const auto start = Clock::now();
  while (answering_ > 0 && seconds_since(start) < drain_seconds) {
    std::this_thread::sleep_for(kLookAround);
  }
  cancelling_ = true;
  http_->stop();
}

Status Server::reload() {
  Keys keys;
  if (!options_.key_file.empty()) keys = TRY(Keys::read(options_.key_file));
  std::shared_ptr<const Models> models = TRY(Models::open(options_.models, turns_));
  const std::lock_guard lock(mutex_);
  keys_ = std::move(keys);
  models_.swap(models);  // the old ones end with the last request that holds them
  return {};
}

// Pages of other sites can make a browser ask for a name of theirs that leads here.
bool Server::host_is_ours(const std::string& host) const {
  const std::string& bound = options_.http.host;
  const bool loopback = bound.starts_with("127.") || bound == "localhost" || bound == "::1";
  if (!loopback || host.empty()) return true;
  const std::string_view name = name_of(host);
  return name == "localhost" || name == "[::1]" || name.starts_with("127.");
}

void Server::add_cors(const Request& request, Response& response) const {
  if (options_.cors.empty() || request.origin.empty()) return;
  if (options_.cors != "*" && options_.cors != request.origin) return;
  response.headers.emplace_back("Access-Control-Allow-Origin", options_.cors);
  response.headers.emplace_back("Vary", "Origin");
  if (request.method != "OPTIONS") return;
  response.headers.emplace_back("Access-Control-Allow-Methods", "GET, POST");
  response.headers.emplace_back("Access-Control-Allow-Headers", "Authorization, Content-Type");
  response.headers.emplace_back("Access-Control-Max-Age", "600");
}

bool Server::begin(const Request& request, Response& response) {
  const auto respond = [&](Response given) {
    response = std::move(given);
    add_cors(request, response);
    return true;
  };
  if (!host_is_ours(request.host)) {
    return respond(error_response(403, "this server is not asked by that name"));
  }
  if (request.method == "OPTIONS") {
    Response none;
    none.status = 204;
    return respond(none);
  }
  const std::string& method = request.method == "HEAD" ? "GET" : request.method;
  const Endpoint* endpoint = nullptr;
  bool known = false;
  for (const Endpoint& row : kEndpoints) {
    if (!row.fits(request.path)) continue;
    known = true;
    if (row.method == method) endpoint = &row;
  }
  if (endpoint == nullptr) {
    if (!known) return respond(error_response(404, "there is no such path", "unknown_url"));
    return respond(error_response(405, "the path does not take this method"));
  }
  if (!endpoint->open) {
    const std::lock_guard lock(mutex_);
    if (!keys_.allow(request.authorization)) {
      Response refusal = error_response(401, "no valid API key", "invalid_api_key");
      refusal.headers.emplace_back("WWW-Authenticate", "Bearer");
      return respond(std::move(refusal));
    }
  }
  if (endpoint->method == "POST") return false;
  Json none;
  Result<Response> given = (this->*endpoint->serve)(request, none);
  return respond(given ? std::move(*given) : error_response(given.error()));
}

Response Server::handle(Request& request) {
  // Before stopping_ is looked at: stop() waits for whom it does not refuse.
  const Counted counted(answering_);
  Response response;
  // A body takes several times its size as JSON: few are read at once.
  reading_.acquire();
  Result<Json> json = parse_json(request.body);
  request.body = {};  // not kept while the answer is waited for
  reading_.release();
  if (stopping_) {
    response = error_response(503, "the server is being stopped");
  } else if (!json) {
    response = error_response(400, json.error().to_string());
  } else {
    for (const Endpoint& row : kEndpoints) {
      if (row.method != "POST" || !row.fits(request.path)) continue;
      Result<Response> given = (this->*row.serve)(request, *json);
      response = given ? std::move(*given) : error_response(given.error());
      break;
    }
  }
  add_cors(request, response);
  return response;
}

void Server::done(const Request& request, int status, double seconds) const {
  if (!options_.log) return;
  Json entry = {{"time", std::time(nullptr)}, {"client", request.client},
                {"method", request.method},   {"path", one_line(request.path, 200)},
                {"status", status},           {"seconds", seconds}};
  if (request.log) entry.update(*request.log);
  options_.log(entry);
}

namespace {

// The model that a request names, or the first one.
Result<const serve::ServedModel*> model_of(const Models& models, const Json& json) {
  openai::Parameters parameters = TRY(openai::Parameters::of(json, ""));
  const std::string id = TRY(parameters.string("model")).value_or("");
  if (const serve::ServedModel* model = models.find(id)) return model;
  auto error = not_found("there is no model {}", one_line(dump_json(id), 100));
  error.value().context = "model";
  return error;
}

}  // namespace

Result<Response> Server::generate(const Request& request, Json& json, Reader reader) {
  const std::shared_ptr<const Models> models = this->models();
  const serve::ServedModel* model = TRY(model_of(*models, json));
  (*request.log)["model"] = model->id();
  // A grammar that is compiled takes memory, and a prompt that is rendered time.
  reading_.acquire();
  Result<openai::Exchange> read = reader(json, *model);
  reading_.release();
  openai::Exchange exchange = TRY(std::move(read));
  json = nullptr;  // not kept while the answer is waited for
  if (const size_t most = model->scheduler().most_jobs(); exchange.jobs.size() > most) {
    return error_response(400, fmt::format("{} answers are asked for, at most {} are possible: "
                                           "lower \"n\", or send fewer prompts at a time",
                                           exchange.jobs.size(), most));
  }
  const std::shared_ptr<serve::Reply> reply = model->scheduler().submit(std::move(exchange.jobs));
  if (reply == nullptr) {
    return error_response(429, "too many answers are waited for; ask again later", "queue_full");
  }
  const auto answering = std::make_shared<Answering>(answering_, reply);
  // Hands what comes to `take` until the end, or until nobody waits any more: false then.
  const auto follow = [this, reply, left = request.client_left](const auto& take) {
    for (;;) {
      const serve::Reply::News news = reply->wait(kLookAround);
      if (cancelling_ || left() || !take(news)) reply->cancel();
      if (news.finished) return !reply->cancelled();
    }
  };
  Response response;
  if (!exchange.stream) {
    openai::ReplyWriter& writer = *exchange.writer;
    const bool complete = follow([&](const serve::Reply::News& news) {
      for (const serve::Part& part : news.parts) writer.add(part);
      return true;
    });
    log_outcomes(reply->outcomes(), *request.log);
    if (!complete) return error_response(503, "the answer was cancelled");
    if (const Error* error = first_error(reply->outcomes())) return error_response(*error);
    response.body = writer.end(reply->outcomes());
    return response;
  }
  response.type = "text/event-stream";
  response.headers.emplace_back("Cache-Control", "no-cache");
  response.stream = [models, reply, answering, follow, log = request.log,
                     writer = std::shared_ptr<openai::ReplyWriter>(std::move(exchange.writer))](
                        const Send& send) {
    auto last_sent = Clock::now();
    bool going = send(writer->begin());
    const bool complete = follow([&](const serve::Reply::News& news) {
      std::string events;
      for (const serve::Part& part : news.parts) events += writer->add(part);
      if (events.empty() && seconds_since(last_sent) > kSignOfLife) events = ": waiting\n\n";
      if (!events.empty()) last_sent = Clock::now();
      going = going && send(events);
      return going;
    });
    log_outcomes(reply->outcomes(), *log);
    if (!going) return;
    if (!complete) {
      send(openai::event(openai::error_json(503, "the answer was cancelled")));
    } else if (const Error* error = first_error(reply->outcomes())) {
      send(openai::event(openai::error_json(*error)));
    } else {
      send(writer->end(reply->outcomes()));
    }
  };
  return response;
}

Result<Response> Server::chat(const Request& request, Json& json) {
  return generate(request, json, openai::read_chat);
}

Result<Response> Server::complete(const Request& request, Json& json) {
  return generate(request, json, openai::read_completion);
}

Result<Response> Server::respond(const Request& request, Json& json) {
  return generate(request, json, openai::read_response_request);
}

Result<Response> Server::tokenize(const Request&, Json& json) {
  const std::shared_ptr<const Models> models = this->models();
  const serve::ServedModel* model = TRY(model_of(*models, json));
  openai::Parameters parameters = TRY(openai::Parameters::of(json, ""));
  parameters.find("model");
  TRY(parameters.need("content"));
  const std::string content = *TRY(parameters.string("content"));
  const bool bos = TRY(parameters.boolean("add_special")).value_or(false);
  const bool specials = TRY(parameters.boolean("parse_special")).value_or(true);
  TRY(parameters.finish());
  const auto ids = TRY(openai::about_parameter(
      "content", model->opened().tokenizer()->encode(
                     content, bos, specials ? text::Specials::AsTokens : text::Specials::AsText)));
  return json_response({{"tokens", ids}});
}

Result<Response> Server::detokenize(const Request&, Json& json) {
  const std::shared_ptr<const Models> models = this->models();
  const serve::ServedModel* model = TRY(model_of(*models, json));
  openai::Parameters parameters = TRY(openai::Parameters::of(json, ""));
  parameters.find("model");
  const Json& tokens = *TRY(parameters.need("tokens"));
  TRY(parameters.finish());
  if (!tokens.is_array()) return openai::unexpected_value("tokens", "a list of ids", tokens);
  std::vector<text::TokenId> ids;
  for (const Json& token : tokens) {
    const std::string name = openai::element_name("tokens", ids.size());
    if (!token.is_number_integer()) return openai::unexpected_value(name, "an id", token);
    const auto id = token.get<int64_t>();
    if (id < 0 || id >= model->opened().vocab_size()) {
      return openai::unexpected_value(name, "an id of the vocabulary", token);
    }
    ids.push_back(static_cast<text::TokenId>(id));
  }
  return json_response({{"content", text::decode(*model->opened().tokenizer(), ids)}});
}

Result<Response> Server::apply_template(const Request&, Json& json) {
  const std::shared_ptr<const Models> models = this->models();
  const serve::ServedModel* model = TRY(model_of(*models, json));
  const std::string prompt = TRY(openai::read_prompt_of_chat(json, *model));
  return json_response({{"prompt", prompt}});
}

Result<Response> Server::list_models(const Request& request, Json&) {
  const std::shared_ptr<const Models> models = this->models();
  constexpr std::string_view kOne = "/v1/models/";
  if (request.path.starts_with(kOne)) {
    return json_response(
        model_json(*TRY(model_of(*models, Json{{"model", request.path.substr(kOne.size())}}))));
  }
  Json list = Json::array();
  for (const auto& model : models->all()) list.push_back(model_json(*model));
  return json_response({{"object", "list"}, {"data", std::move(list)}});
}

Result<Response> Server::health(const Request&, Json&) {
  if (stopping_) return error_response(503, "the server is being stopped");
  return json_response({{"status", "ok"}});
}

Result<Response> Server::props(const Request&, Json&) {
  return json_response(props_json(*models()));
}

Result<Response> Server::slots(const Request&, Json&) {
  const std::shared_ptr<const Models> models = this->models();
  Json slots = Json::array();
  for (const auto& model : models->all()) {
    for (Json& slot : slots_json(*model)) slots.push_back(std::move(slot));
  }
  return json_response(slots);
}

Result<Response> Server::metrics(const Request&, Json&) {
  Response response;
  response.type = "text/plain; version=0.0.4";
  response.body = metrics_text(*models());
  return response;
}

Result<Response> Server::page(const Request& request, Json&) {
  const std::string name = request.path == "/" ? "index.html" : request.path.substr(6);
  for (const PageFile& file : page_files()) {
    if (file.name != name) continue;
    Response response;
    response.type = file.type;
    response.body = file.bytes;
    // Nothing but what this server gives, and no scripts or styles within texts.
    response.headers.emplace_back(
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    response.headers.emplace_back("Referrer-Policy", "no-referrer");
    response.headers.emplace_back("Cache-Control", "no-cache");
    return response;
  }
  return error_response(404, "the page has no such file");
}

}  // namespace diptych::server
