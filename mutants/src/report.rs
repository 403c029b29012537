pub(crate) fn write() -> Result<bool, String> { Ok(true) }
