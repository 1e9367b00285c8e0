import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.servlet.ServletContextHandler;
import org.eclipse.jetty.servlet.ServletHolder;
import org.springframework.http.HttpStatus;
import org.springframework.stereotype.Controller;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestHeader;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestMethod;
import org.springframework.web.bind.annotation.ResponseStatus;
import org.springframework.web.context.support.StaticWebApplicationContext;
import org.springframework.web.servlet.DispatcherServlet;
import org.springframework.web.servlet.mvc.method.annotation.RequestMappingHandlerAdapter;
import org.springframework.web.servlet.mvc.method.annotation.RequestMappingHandlerMapping;
import org.springframework.web.servlet.mvc.method.annotation.SseEmitter;

/**
 * Events with Spring's SseEmitter, behind a history in a file; a thread for each emitter, and a comment
 * when there is nothing to say, as applications do it.
 *
 * <p>Environment: PORT, HISTORY (a file of lines "id number", appended to before anybody hears of an event).
 */
public final class Emitter {
  /** Shorter than Boot's 30 s. */
  private static final long TIMEOUT_MS = 4_000;

  private static final long HEARTBEAT_MS = 1_000;

  /** The controller. Its monitor guards the history. */
  @Controller
  public static final class Events {
    private final Path file = Paths.get(System.getenv("HISTORY"));
    private final List<long[]> history = new ArrayList<>();

    public Events() throws IOException {
      for (String line : Files.exists(file) ? Files.readAllLines(file) : Collections.<String>emptyList()) {
        String[] parts = line.split(" ");
        history.add(new long[] {Long.parseLong(parts[0]), Long.parseLong(parts[1])});
      }
    }

    @RequestMapping(value = "/publish", method = RequestMethod.POST)
    @ResponseStatus(HttpStatus.CREATED)
    public synchronized void publish(@RequestBody String body) throws IOException {
      long[] event = {last() + 1, Long.parseLong(body)};
      Files.write(
          file,
          (event[0] + " " + event[1] + "\n").getBytes(),
          StandardOpenOption.CREATE,
          StandardOpenOption.APPEND);
      history.add(event);
      notifyAll();
    }

    @RequestMapping("/events")
    public SseEmitter events(
        @RequestHeader(value = "Last-Event-ID", required = false) String last) {
      SseEmitter emitter = new SseEmitter(TIMEOUT_MS);
      Thread thread = new Thread(() -> send(emitter, last == null ? 0 : Long.parseLong(last)));
      emitter.onCompletion(thread::interrupt);
      thread.setDaemon(true);
      thread.start();
      return emitter;
    }

    private void send(SseEmitter emitter, long last) {
      try {
        while (true) {
          List<long[]> there = behind(last);
          if (there.isEmpty()) {
            emitter.send(SseEmitter.event().comment("hb"));
          }
          for (long[] event : there) {
            emitter.send(
                SseEmitter.event().id("" + event[0]).name("number").data("{\"n\":" + event[1] + "}"));
            last = event[0];
          }
        }
      } catch (IOException | IllegalStateException | InterruptedException ended) {
        // The client has gone, or the emitter's time is up.
      }
    }

    private synchronized List<long[]> behind(long last) throws InterruptedException {
      if (last() <= last) {
        wait(HEARTBEAT_MS);
      }
      // Ids count up by one: so many are new.
      int count = (int) Math.min(last() - last, history.size());
      return new ArrayList<>(history.subList(history.size() - count, history.size()));
    }

    private long last() {
      return history.isEmpty() ? 0 : history.get(history.size() - 1)[0];
    }
  }

  public static void main(String[] arguments) throws Exception {
    StaticWebApplicationContext context = new StaticWebApplicationContext();
    context.registerSingleton("mapping", RequestMappingHandlerMapping.class);
    context.registerSingleton("adapter", RequestMappingHandlerAdapter.class);
    context.registerSingleton("events", Events.class);
    ServletHolder holder = new ServletHolder(new DispatcherServlet(context));
    holder.setAsyncSupported(true);
    ServletContextHandler handler = new ServletContextHandler();
    handler.addServlet(holder, "/*");
    Server server = new Server(
        new java.net.InetSocketAddress("127.0.0.1", Integer.parseInt(System.getenv("PORT"))));
    server.setHandler(handler);
    server.start();
    server.join();
  }
}
