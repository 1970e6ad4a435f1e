package io.malleable.http;

import io.helidon.common.concurrency.limits.FixedLimit;
import io.helidon.common.context.Context;
import io.helidon.http.DirectHandler;
import io.helidon.http.DirectHandler.EventType;
import io.helidon.http.DirectHandler.TransportRequest;
import io.helidon.http.DirectHandler.TransportResponse;
import io.helidon.http.ServerResponseHeaders;
import io.helidon.http.Status;
import io.helidon.http.encoding.ContentEncodingContext;
import io.helidon.http.media.MediaContext;
import io.helidon.webserver.ConnectionContext;
import io.helidon.webserver.ListenerConfig;
import io.helidon.webserver.ListenerContext;
import io.helidon.webserver.Router;
import io.helidon.webserver.http.DirectHandlers;
import io.helidon.webserver.http.Handler;
import io.helidon.webserver.http.HttpRouting;
import io.helidon.webserver.http1.Http1Config;
import io.helidon.webserver.http1.Http1ConnectionSelector;
import io.helidon.webserver.spi.ServerConnection;
import io.malleable.http.HttpConnection.Outcome;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * Helidon's HTTP/1.1 without its listener, which ends for good at the first failed accept and, when
 * it has all the connections that it may have, leaves further ones unanswered.
 */
final class HttpEngine implements ListenerContext, AutoCloseable {
  private static final int MAX_HEADERS_BYTES = 16 * 1024;

  private final Context context = Context.create();
  private final ListenerConfig config = ListenerConfig.builder().buildPrototype();
  private final MediaContext media = MediaContext.create();
  private final ContentEncodingContext encodings = ContentEncodingContext.create();
  private final DirectHandlers directHandlers =
      DirectHandlers.builder()
          .addHandler(EventType.INTERNAL_ERROR, HttpEngine::onInternalError)
          .build();
  private final ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor();
  private final FixedLimit requests = FixedLimit.create();
  private final Http1ConnectionSelector http1 =
      Http1ConnectionSelector.builder()
          .config(Http1Config.builder().maxHeadersSize(MAX_HEADERS_BYTES).buildPrototype())
          .build();
  private final Router router;
  private final HeldBytes held = new HeldBytes();

  HttpEngine(Handler handler) {
    Handler timed =
        (request, response) -> {
          HttpConnection connection = HttpConnection.current();
          connection.onRequest();
          boolean done = false;
          try {
            handler.handle(request, response);
            done = true;
          } finally {
            connection.onAnswered(done ? Outcome.DONE : Outcome.FAILED);
          }
        };
    this.router = Router.builder().addRouting(HttpRouting.builder().any(timed)).build();
    router.beforeStart();
  }

  /**
   * What the protocol stumbles over while no handler runs is the peer's doing, and need not be in
   * the log.
   */
  private static TransportResponse onInternalError(
      TransportRequest request,
      EventType type,
      Status status,
      ServerResponseHeaders headers,
      String message) {
    boolean ours = HttpConnection.current().handlerFailed();
    return DirectHandler.defaultHandler()
        .handle(
            request,
            ours ? type : EventType.BAD_REQUEST,
            ours ? status : Status.BAD_REQUEST_400,
            headers,
            ours ? message : "Bad request");
  }

  /** The protocol of a connection, which has sent nothing yet. */
  ServerConnection connection(ConnectionContext connection) {
    return http1.connection(connection);
  }

  Router router() {
    return router;
  }

  /** Of the requests under way; connections are limited, requests are not. */
  FixedLimit requests() {
    return requests;
  }

  /** What all clients have sent and nobody has looked at yet. */
  HeldBytes held() {
    return held;
  }

  @Override
  public Context context() {
    return context;
  }

  @Override
  public MediaContext mediaContext() {
    return media;
  }

  @Override
  public ContentEncodingContext contentEncodingContext() {
    return encodings;
  }

  @Override
  public DirectHandlers directHandlers() {
    return directHandlers;
  }

  @Override
  public ListenerConfig config() {
    return config;
  }

  @Override
  public ExecutorService executor() {
    return executor;
  }

  @Override
  public void close() {
    executor.shutdownNow();
    router.afterStop();
  }
}
