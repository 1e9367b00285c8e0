//! The fields of one JSON object, put in an order drawn from a seed.

/// Names and rendered values.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(&'static str, String)>);

impl Fields {
    /// Adds a field whose value is rendered JSON.
    pub(super) fn add(&mut self, name: &'static str, value: String) {
        self.0.push((name, value));
    }

    /// The object, its fields shuffled.
    pub(super) fn render(mut self, rng: &mut fastrand::Rng) -> Vec<u8> {
        rng.shuffle(&mut self.0);
        let size = self.0.iter().map(|(name, value)| name.len() + value.len() + 4).sum::<usize>();
        let mut out = Vec::with_capacity(size + 2);
        let mut before = b'{';
        for (name, value) in &self.0 {
            out.push(before);
            out.push(b'"');
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\":");
            out.extend_from_slice(value.as_bytes());
            before = b',';
        }
        out.push(b'}');
        out
    }
}

/// A JSON string. The texts of this crate hold nothing that would have to be escaped.
pub(super) fn text(plain: &str) -> String {
    format!("\"{plain}\"")
}
